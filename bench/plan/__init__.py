"""What will be run and how it is judged: scenario, arrivals, metrics, gates. Pure."""
