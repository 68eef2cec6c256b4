"""The embedded model: llama.cpp in this process, and the weights it runs."""
