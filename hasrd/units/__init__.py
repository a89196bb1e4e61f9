# Copyright 2026 The hasrd authors
# Apache-2.0
