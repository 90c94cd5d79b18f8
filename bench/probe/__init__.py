"""What a target can do: a few short sessions against it, and one row for each thing found out."""
