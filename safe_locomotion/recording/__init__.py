"""Episodes on disk: rosbag2 folders (metadata.yaml and MCAP) that survive a power cut."""
