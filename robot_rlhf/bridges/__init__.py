"""What others speak: Gymnasium environments, and the algorithms, buffers and policies of Stable-Baselines3."""
