"""The Gradio app: the emotions of a conversation in a browser."""
