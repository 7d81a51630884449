# One image for serving and training; nothing is compiled or downloaded when it starts.
FROM docker.io/library/python:3.11-slim-bookworm AS build
WORKDIR /build
ARG LOCK=requirements.lock
COPY ${LOCK} ./
RUN python -m venv /opt/wardrobe \
 && /opt/wardrobe/bin/pip install --no-cache-dir --require-hashes -r ${LOCK}
COPY pyproject.toml README.md LICENSE ./
COPY wardrobe wardrobe
COPY pretrained pretrained
COPY results results
COPY models models
COPY training training
COPY serving serving
RUN /opt/wardrobe/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
 && ln -s /opt/wardrobe/lib/python3.11/site-packages/wardrobe/pretrained /opt/wardrobe/pretrained

FROM docker.io/library/python:3.11-slim-bookworm
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin wardrobe \
 && install -d -o wardrobe -g wardrobe /artifacts /runs
COPY --from=build /opt/wardrobe /opt/wardrobe
# The root file system is read-only in docker-compose.yml: what must be written goes to /tmp.
ENV PATH=/opt/wardrobe/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    HOME=/tmp KERAS_HOME=/tmp/keras \
    WARDROBE_HOST=0.0.0.0 WARDROBE_ARTIFACTS=/artifacts:/opt/wardrobe/pretrained
USER wardrobe
WORKDIR /tmp
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/health/ready', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["wardrobe"]
CMD ["serve"]
