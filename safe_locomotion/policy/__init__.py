"""Policies: files that carry a contract, the checks they must pass, and the stage that runs one."""
