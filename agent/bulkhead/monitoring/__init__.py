"""What a program tells about itself over HTTP: metrics, whether it lives, whether it does its work.

`catalog` names every metric there is, `checks` says when a program is well, `exposition` turns readings into what
Prometheus reads, `server` answers. Nothing is counted here: whoever does the work counts it, and is asked at a scrape.
Next step: `agent.metrics` and `collector.metrics`, which ask.
"""
