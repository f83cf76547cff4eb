"""Runtime: processes of a stack, their scheduling and their logs."""
