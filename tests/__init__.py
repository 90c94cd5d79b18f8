"""A package, so that no library's own `tests` (ciw brings one) stands in its place."""
