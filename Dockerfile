# The syncer's image: Python, the pinned packages, the program. Dependencies are a layer of their own, so that a change of the
# program alone rebuilds nothing but the last small layer.
ARG PYTHON=docker.io/library/python:3.13-slim-trixie

FROM ${PYTHON} AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
COPY requirements.txt /build/
# The environment has no pip of its own. Nothing may be compiled from source here: every package has wheels, and no compiler is needed.
RUN python -m venv --without-pip /opt/venv \
    && python -m pip --python /opt/venv/bin/python install --no-compile --only-binary :all: --require-hashes \
        --requirement /build/requirements.txt \
    && /opt/venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/venv/lib
COPY syncer /app/syncer
RUN /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /app

FROM ${PYTHON}
LABEL org.opencontainers.image.title="sublet-syncer" \
      org.opencontainers.image.description="Carries a tenant's objects between a virtual Kubernetes cluster and one namespace of a host cluster" \
      org.opencontainers.image.licenses="Apache-2.0"
# Bytecode is compiled above and never checked or written again: the root file system may be read-only.
# One malloc arena that gives memory back: the program has one busy thread.
ENV PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    MALLOC_ARENA_MAX=1 \
    MALLOC_TRIM_THRESHOLD_=131072 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /app
USER 65532:65532
EXPOSE 8080 9443 10250
ENTRYPOINT ["python", "-m", "syncer"]
COPY --from=builder /opt/venv /opt/venv
COPY --from=builder /app /app
