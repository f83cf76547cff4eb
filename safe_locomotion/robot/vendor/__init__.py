"""A vendor's URDF as a robot of ours: read, put into our conventions, and written as drafts."""
