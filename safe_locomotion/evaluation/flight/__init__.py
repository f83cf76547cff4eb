"""The flight check of a policy: a supervised walk over a course, its verdict, and its mending."""
