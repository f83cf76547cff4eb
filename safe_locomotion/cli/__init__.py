"""The command `safe-locomotion`: one file or folder for each subcommand."""
