"""What wishes actions: networks, learned and scripted policies, and the features they see."""
