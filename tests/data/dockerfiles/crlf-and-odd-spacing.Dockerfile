   FROM    debian:bookworm-slim   AS   spaced   
	RUN	true
ENV A=1    B="two words"   C='$A'
# a comment with a backslash \
RUN echo a \
# inside

  # indented
  && echo b
LABEL "com.example.a b"="c" d=e\ f
CMD [ "echo" , "x" ]
