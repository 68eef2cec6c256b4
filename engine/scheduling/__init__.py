"""Sans-IO scheduling: a ready queue and the policies that order it."""

from engine.scheduling.policy import Policy, parse_policy, policy_names
from engine.scheduling.scheduler import Ready, Scheduler

__all__ = ["Policy", "Ready", "Scheduler", "parse_policy", "policy_names"]
