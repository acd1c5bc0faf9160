"""Pure network modules: no losses, no optimisers, no data."""
