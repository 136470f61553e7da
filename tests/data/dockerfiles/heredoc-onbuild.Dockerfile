FROM busybox:1.36 AS template
ONBUILD ARG SITE=default
ONBUILD COPY <<EOF /etc/site
site ${SITE}
EOF
ONBUILD RUN <<EOF
grep site /etc/site
touch /built
EOF
FROM template
CMD ["cat", "/etc/site"]
