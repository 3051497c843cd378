"""What a policy learns from: advantages, the groups worth an update, policy losses and the dual loss."""
