FROM busybox:1.36 AS base
RUN echo base > /base
FROM base AS left
RUN cp /base /left
FROM base AS right
RUN cp /base /right
FROM base
COPY --from=left /left /
COPY --from=right /right /
RUN cat /left /right
