"""The history: tasks, their attempts and operator actions, in one SQLite database."""

from persistence.activity import Activity, Share
from persistence.history import History
from persistence.replays import NewReplay, ReplayDetail, ReplayRow
from persistence.rows import AttemptRow, PriorityChangeRow, RunRow, TaskDetail
from persistence.store import SqliteStore

__all__ = [
    "Activity",
    "AttemptRow",
    "History",
    "NewReplay",
    "PriorityChangeRow",
    "ReplayDetail",
    "ReplayRow",
    "RunRow",
    "Share",
    "SqliteStore",
    "TaskDetail",
]
