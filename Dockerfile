# Two images: the service (the last stage, so `docker build .`), with only what serving needs, and
# `--target training`. Nothing is compiled or downloaded when they start.
FROM docker.io/library/python:3.11-slim-bookworm AS base
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin wardrobe \
 && install -d -o wardrobe -g wardrobe /artifacts /runs
# The root file system is read-only in docker-compose.yml: temporary files go to /tmp.
ENV PATH=/opt/wardrobe/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    HOME=/tmp KERAS_HOME=/tmp/keras \
    WARDROBE_HOST=0.0.0.0 WARDROBE_ARTIFACTS=/artifacts:/opt/wardrobe/pretrained
WORKDIR /tmp
STOPSIGNAL SIGTERM
ENTRYPOINT ["wardrobe"]

FROM base AS build
WORKDIR /build
RUN python -m venv /opt/wardrobe

FROM build AS build-training
ARG LOCK=requirements.lock
COPY ${LOCK} ./
RUN pip install --no-cache-dir --require-hashes -r ${LOCK}
COPY pyproject.toml README.md LICENSE ./
COPY wardrobe wardrobe
COPY pretrained pretrained
COPY results results
COPY models models
COPY training training
COPY serving serving
RUN pip install --no-cache-dir --no-deps --no-build-isolation . \
 && ln -s lib/python3.11/site-packages/wardrobe/pretrained /opt/wardrobe/pretrained

FROM base AS training
COPY --from=build-training /opt/wardrobe /opt/wardrobe
USER wardrobe
CMD ["train", "--help"]

FROM build AS build-serving
RUN apt-get update -qq && apt-get install -qq --no-install-recommends binutils
COPY requirements-serving.lock ./
# --no-deps: the lock leaves out requirements of TensorFlow that the service never imports. TensorFlow's
# headers and debug symbols take half a gigabyte.
RUN pip install --no-cache-dir --no-deps --require-hashes -r requirements-serving.lock \
 && rm -r /opt/wardrobe/lib/python3.11/site-packages/tensorflow/include \
 && find /opt/wardrobe -name 'libtensorflow*.so*' -exec strip --strip-unneeded {} +
COPY pyproject.toml README.md LICENSE ./
COPY wardrobe wardrobe
COPY pretrained pretrained
COPY serving serving
RUN pip install --no-cache-dir --no-deps --no-build-isolation . \
 && ln -s lib/python3.11/site-packages/wardrobe/pretrained /opt/wardrobe/pretrained \
 && pip uninstall --quiet --yes setuptools pip

FROM base
COPY --from=build-serving /opt/wardrobe /opt/wardrobe
USER wardrobe
EXPOSE 8080
# Directly to this machine: urllib would use the proxy that the environment names.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-c", "from http.client import HTTPConnection as H; h = H('127.0.0.1', 8080, timeout=4); h.request('GET', '/health/ready'); exit(h.getresponse().status != 200)"]
CMD ["serve"]
