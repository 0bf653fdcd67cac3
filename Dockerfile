# The product without the embedded engines: small, as nobody in particular, nothing to write to.
FROM python:3.13-slim AS packages
COPY requirements.txt .
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --require-hashes -r requirements.txt

FROM python:3.13-slim
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 HOST=0.0.0.0 ORCHESTRATOR_HOME=/app/var
WORKDIR /app
COPY --from=packages /venv /venv
COPY manage.py ./
COPY audit audit
COPY sessions sessions
COPY approvals approvals
COPY orchestrator orchestrator
COPY templates templates
COPY static static
# The key is for this one command: settings.py would make one and keep it in the image.
RUN SECRET_KEY=only-to-collect-the-static-files python manage.py collectstatic --no-input --verbosity 0
USER 10001
EXPOSE 8088
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s \
  CMD ["python", "-c", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8088, timeout=2); c.request('GET', '/livez'); exit(c.getresponse().status != 200)"]
CMD ["gunicorn", "-c", "python:orchestrator.gunicorn", "--worker-tmp-dir", "/dev/shm", "orchestrator.wsgi:application"]
