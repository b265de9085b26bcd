# SPDX-License-Identifier: LGPL-2.1-or-later
"""What live tests, the quick start and the benchmarks share: QEMU pairs, the test guest, a private bus."""
