"""The product's main job, shown: policies enforced on a workload, violations arriving, a killed agent that misses none.

`python -m tools.demo` decides where: on this machine where its kernel can enforce, else in a VM. `tools.demo.stage` is
what happens there.
"""
