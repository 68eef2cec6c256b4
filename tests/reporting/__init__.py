"""Reports of replays."""
