"""What every job needs: files written atomically, seeds, devices, manifests, progress."""
