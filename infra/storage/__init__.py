"""The object store: keys, contents, manifests and refs, local copies, garbage."""
