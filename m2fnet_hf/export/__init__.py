"""A trained model as ONNX graphs, and what runs them."""
