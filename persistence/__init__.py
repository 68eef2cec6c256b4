"""The history: tasks, their attempts and operator actions, in one SQLite database."""

from persistence.activity import Activity
from persistence.history import History
from persistence.replays import NewReplay, ReplayDetail, ReplayRow
from persistence.rows import RunRow, TaskDetail
from persistence.store import SqliteStore

__all__ = [
    "Activity",
    "History",
    "NewReplay",
    "ReplayDetail",
    "ReplayRow",
    "RunRow",
    "SqliteStore",
    "TaskDetail",
]
