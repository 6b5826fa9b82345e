# The images of Bulkhead: `agent` (with bcc and its LLVM) and `collector` (without). Any builder makes them:
#   docker build --target agent .
# `make image` makes them with buildah, and a base of its own. What changes rarely comes first: a change of our Python
# costs the last two layers.
ARG BASE=debian:bookworm-slim

# Python without its packaging tools, documentation and toys. Bytecode that is never checked against its source: it
# starts faster and is the same on every build.
FROM ${BASE} AS runtime
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3 \
    && apt-get clean \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/cache/ldconfig/* /var/log/* \
        /usr/lib/python3*/pydoc_data /usr/lib/python3*/test /usr/lib/python3*/turtle.py \
    && find /usr/lib/python3* /usr/share/python3 -name __pycache__ -prune -exec rm -rf {} + \
    && python3 -B -m compileall -q -f --invalidation-mode unchecked-hash /usr/lib/python3*
ENV PATH=/opt/bulkhead/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# bcc is Debian's python3-bpfcc: PyPI's package of that name is something else.
FROM runtime AS compiler
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-bpfcc \
    && apt-get clean \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/cache/ldconfig/* /var/log/* \
    && python3 -m compileall -q -f --invalidation-mode unchecked-hash /usr/lib/python3/dist-packages

# Where packages are installed: a virtual environment without pip, filled by another one's. It sees the system's
# packages, because bcc is one.
FROM runtime AS workshop
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv binutils
COPY requirements /requirements
RUN python3 -m venv /workshop \
    && /workshop/bin/pip install --quiet --no-cache-dir --disable-pip-version-check \
        --constraint /requirements/constraints.txt --requirement /requirements/build.txt \
    && python3 -m venv --without-pip --system-site-packages /opt/bulkhead

# The Kubernetes client's asynchronous half is a copy of the other one with dependencies of its own; agent and controller
# use threads. Its models and the calls that give them are loaded when first named, which nothing here does (kube.client).
FROM workshop AS packages
RUN /workshop/bin/pip --python /opt/bulkhead/bin/python install --quiet --no-cache-dir --disable-pip-version-check \
        --no-compile --only-binary :all: \
        --constraint /requirements/constraints.txt --requirement /requirements/agent.txt \
    && rm -rf /opt/bulkhead/lib/python3*/site-packages/kubernetes/aio \
    && find /opt/bulkhead/lib/python3*/site-packages/kubernetes/client/models \
        /opt/bulkhead/lib/python3*/site-packages/kubernetes/client/api -name '*.py' ! -name __init__.py -delete \
    && /workshop/bin/pip --python /opt/bulkhead/bin/python uninstall --quiet --yes \
        aiohappyeyeballs aiohttp aiohttp-retry aiosignal attrs frozenlist multidict propcache yarl \
    && find /opt/bulkhead/lib -name '*.so' -exec strip --strip-unneeded {} + \
    && python3 -m compileall -q -f --invalidation-mode unchecked-hash /opt/bulkhead/lib

# Our own package, alone below /out.
FROM workshop AS project
COPY pyproject.toml README.md LICENSE /source/
COPY agent /source/agent
RUN /workshop/bin/pip wheel --quiet --no-cache-dir --disable-pip-version-check \
        --no-deps --no-build-isolation --wheel-dir /wheels /source \
    && /workshop/bin/pip --python /opt/bulkhead/bin/python install --quiet --disable-pip-version-check \
        --no-compile --no-deps --no-index --no-warn-script-location --root /out /wheels/*.whl \
    && python3 -m compileall -q -f --invalidation-mode unchecked-hash -s /out -p / /out

FROM runtime AS collector
ARG VERSION=unknown
LABEL org.opencontainers.image.title="Bulkhead collector" \
      org.opencontainers.image.description="Keeps and serves the violations that Bulkhead's agents report; sums up what they say of their nodes" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
# A number, so that Kubernetes can tell that it is not root (runAsNonRoot).
USER 65532
ENTRYPOINT ["bulkhead"]
CMD ["collector"]
COPY --from=packages /opt/bulkhead /opt/bulkhead
COPY --from=project /out /

FROM compiler AS agent
ARG VERSION=unknown
# The probes, which the kernel loads, name their licences themselves.
LABEL org.opencontainers.image.title="Bulkhead agent" \
      org.opencontainers.image.description="Enforces security policies on the workloads of a node with BPF LSM" \
      org.opencontainers.image.licenses="Apache-2.0 AND (GPL-2.0-only OR BSD-2-Clause)" \
      org.opencontainers.image.version="${VERSION}"
# Root, for what only root may open on a node: /sys/fs/bpf, every container's cgroup and /proc. What root may do beyond
# that is what the chart leaves of its capabilities.
USER 0
ENTRYPOINT ["bulkhead"]
CMD ["agent"]
COPY --from=packages /opt/bulkhead /opt/bulkhead
COPY probes /usr/share/bulkhead/probes
COPY --from=project /out /
