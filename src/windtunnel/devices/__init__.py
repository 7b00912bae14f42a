# SPDX-License-Identifier: Apache-2.0
"""What guests talk to: backends of virtio devices over vhost-user."""
