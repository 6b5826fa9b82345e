"""The API server: list and watch, status, events, port-forward. The only package that imports the Kubernetes client.

It knows no policies and no containers: objects are the dictionaries that JSON makes. Next step: `kube.client`.
"""
