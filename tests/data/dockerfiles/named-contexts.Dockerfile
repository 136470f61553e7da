FROM base-image AS base
RUN make-something
FROM base
COPY --from=shared-config /etc/app/ /etc/app/
COPY --from=vendor . /vendor/
RUN --mount=from=vendor,target=/mnt/vendor ls /mnt/vendor
CMD ["app"]
