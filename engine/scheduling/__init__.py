"""Sans-IO scheduling: ready queues and the policies that order them."""

from engine.scheduling.affinity import Affinity, with_affinity_of
from engine.scheduling.core_models import Fit
from engine.scheduling.lanes import LaneScheduler
from engine.scheduling.policy import Policy
from engine.scheduling.registry import parse_policies, parse_policy, policy_names
from engine.scheduling.scheduler import Ready, Scheduler

__all__ = [
    "Affinity",
    "Fit",
    "LaneScheduler",
    "Policy",
    "Ready",
    "Scheduler",
    "parse_policies",
    "parse_policy",
    "policy_names",
    "with_affinity_of",
]
