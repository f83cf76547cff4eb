"""Training of joint policies."""
