# Copyright 2026 The hasrd authors
# Apache-2.0
"""What `hasrd bench` measures: codecs and training steps, side by side on one machine."""
