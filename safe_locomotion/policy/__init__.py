"""Policy: files with a contract, what judges them, and the stage that runs a learner."""
