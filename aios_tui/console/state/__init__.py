"""From kernel events to what the panes draw: the view state, the one reducer, and the loop that drives them."""
