# One image for the processor (the default) or for an NVIDIA GPU:
#   docker build --tag inkwash .
#   docker build --tag inkwash:gpu --build-arg EXTRA=gpu .
ARG PYTHON_IMAGE=python:3.13-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
# cpu or gpu, never both: the two builds of onnxruntime are one module, and the last one installed wins without a word.
ARG EXTRA=cpu
# Where a mirror or a proxy is used; pip reads these from its environment. They stay in this stage.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
# Without pip of its own: the image that runs needs none.
RUN python3 -m venv --without-pip /opt/inkwash

# What Inkwash stands on changes seldom: a layer of its own, made from pyproject.toml alone.
COPY pyproject.toml constraints.txt ./
RUN case "$EXTRA" in cpu | gpu) ;; *) echo "EXTRA is '$EXTRA'; it must be cpu or gpu." >&2; exit 1 ;; esac \
    && python3 -c "import sys, tomllib; \
project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
print(*project['dependencies'], *project['optional-dependencies'][sys.argv[1]], sep='\n')" "$EXTRA" > /tmp/requirements.txt \
    && python3 -m pip --python /opt/inkwash/bin/python install --quiet --constraint constraints.txt --requirement /tmp/requirements.txt

COPY . .
RUN python3 -m pip --python /opt/inkwash/bin/python install --quiet --no-deps .

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="Inkwash" \
      org.opencontainers.image.description="Draw lines, get pictures" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 inkwash \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin inkwash
COPY --from=build /opt/inkwash /opt/inkwash
ENV PATH=/opt/inkwash/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ORT_DISABLE_TELEMETRY=1 \
    INKWASH_HOST=0.0.0.0 \
    INKWASH_PORT=8000
USER 10001:10001
WORKDIR /tmp
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"INKWASH_PORT\"]}/v2/health/ready', timeout=4)"]
ENTRYPOINT ["inkwash"]
CMD ["serve"]
