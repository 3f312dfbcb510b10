"""Scripts behind the figures of the README; never timed tests."""
