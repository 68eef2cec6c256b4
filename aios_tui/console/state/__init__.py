"""The state that panes draw: the view state, the reducer that folds kernel events, and the bridge that drives it."""
