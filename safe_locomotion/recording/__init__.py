"""Episodes on disk: rosbag2 folders (metadata.yaml and MCAP) of what robot and stack said, written to survive a power cut."""
