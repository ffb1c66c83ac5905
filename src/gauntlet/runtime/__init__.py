"""Services for every job: files written atomically, seeds, devices, manifests, progress."""
