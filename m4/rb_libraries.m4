dnl SPDX-License-Identifier: Apache-2.0

dnl RB_LIBRARY(LIBS, HEADER, FUNCTION, DEBIAN-PACKAGE, [PKG-CONFIG-MODULE])
dnl Links a call of FUNCTION the way the program will be linked, so that a shared library without
dnl its archive is noticed here. LIBS is written out rather than asked from "pkg-config --static":
dnl Debian's libarchive.pc asks for libxml2, nettle and acl, which only its writers refer to.
AC_DEFUN([RB_LIBRARY], [
	rb_lib_cflags=
	m4_ifval([$5], [AS_IF([$PKG_CONFIG --exists $5], [rb_lib_cflags=$($PKG_CONFIG --cflags $5)])])
	AC_MSG_CHECKING([for $3 in $1])
	rb_save_CPPFLAGS=$CPPFLAGS rb_save_CFLAGS=$CFLAGS rb_save_LDFLAGS=$LDFLAGS rb_save_LIBS=$LIBS
	CPPFLAGS="$CPPFLAGS $rb_lib_cflags"
	CFLAGS="$CFLAGS -fPIE"
	LDFLAGS="$LDFLAGS $RB_KIND_LDFLAGS"
	LIBS="$1 $RB_LIBS $LIBS"
	dnl The address is printed nowhere but kept: a volatile store the linker cannot drop.
	AC_LINK_IFELSE([AC_LANG_PROGRAM([[
#include <stddef.h>
#include <stdio.h>
#include <$2>
]], [[void *volatile p = (void *)&$3; return p == NULL;]])],
		[rb_found=yes], [rb_found=no])
	CPPFLAGS=$rb_save_CPPFLAGS CFLAGS=$rb_save_CFLAGS LDFLAGS=$rb_save_LDFLAGS LIBS=$rb_save_LIBS
	AC_MSG_RESULT([$rb_found])
	AS_IF([test $rb_found = yes], [
		AS_VAR_APPEND([RB_LIBS_CFLAGS], [" $rb_lib_cflags"])
		RB_LIBS="$1 $RB_LIBS"
	], [AS_VAR_APPEND([rb_missing], [" $4"])])
])

dnl libcurl comes from contrib/build-deps: the distribution's archive needs gssapi, ldap and ssh2,
dnl which have no archives.
AC_DEFUN([RB_LIBCURL], [
	rb_deps=${with_deps:-$(cd "$srcdir" && pwd)/deps}
	rb_missing_curl=
	AC_MSG_CHECKING([for libcurl in $rb_deps])
	AS_IF([test -r "$rb_deps/lib/libcurl.a"], [
		AC_MSG_RESULT([yes])
		rb_save_path=$PKG_CONFIG_PATH
		PKG_CONFIG_PATH="$rb_deps/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"
		export PKG_CONFIG_PATH
		AS_VAR_APPEND([RB_LIBS_CFLAGS], [" $($PKG_CONFIG --cflags libcurl)"])
		RB_LIBS="$($PKG_CONFIG --libs libcurl) $RB_LIBS"
		PKG_CONFIG_PATH=$rb_save_path
	], [
		AC_MSG_RESULT([no])
		rb_missing_curl=yes
	])
])

dnl From the bottom up: each is put in front of those it needs.
AC_DEFUN([RB_LIBRARIES], [
	RB_LIBS=
	RB_LIBS_CFLAGS=
	rb_missing=
	RB_LIBRARY([-lcap], [sys/capability.h], [cap_get_proc], [libcap-dev], [libcap])
	RB_LIBRARY([-lseccomp], [seccomp.h], [seccomp_init], [libseccomp-dev], [libseccomp])
	RB_LIBRARY([-ljansson], [jansson.h], [json_loadb], [libjansson-dev], [jansson])
	RB_LIBRARY([-ldeflate], [libdeflate.h], [libdeflate_gzip_compress], [libdeflate-dev], [libdeflate])
	RB_LIBRARY([-lz], [zlib.h], [inflate], [zlib1g-dev], [zlib])
	RB_LIBRARY([-lzstd], [zstd.h], [ZSTD_decompressStream], [libzstd-dev], [libzstd])
	RB_LIBRARY([-lbz2], [bzlib.h], [BZ2_bzDecompress], [libbz2-dev])
	RB_LIBRARY([-llzma], [lzma.h], [lzma_code], [liblzma-dev], [liblzma])
	RB_LIBRARY([-lcrypto], [openssl/evp.h], [EVP_DigestFinal_ex], [libssl-dev], [libcrypto])
	RB_LIBRARY([-lssl], [openssl/ssl.h], [SSL_CTX_new], [libssl-dev], [libssl])
	RB_LIBRARY([-lcares], [ares.h], [ares_library_init], [libc-ares-dev], [libcares])
	RB_LIBRARY([-larchive], [archive.h], [archive_read_support_format_tar], [libarchive-dev], [libarchive])
	AC_CHECK_HEADER([uthash.h], [], [AS_VAR_APPEND([rb_missing], [" uthash-dev"])])
	RB_LIBCURL
	AC_SUBST([RB_LIBS])
	AC_SUBST([RB_LIBS_CFLAGS])
	AC_SUBST([RB_DEPS], [$rb_deps])
])

dnl One line that says what to type, for everything that is missing at once.
AC_DEFUN([RB_REQUIRE_LIBRARIES], [
	rb_missing=$(printf '%s\n' $rb_missing | sort -u | tr '\n' ' ' | sed 's/ *$//')
	AS_IF([test -n "$rb_missing"],
		[AC_MSG_ERROR([libraries (static archives and headers) are missing; run: apt-get install -y $rb_missing])])
	AS_IF([test -n "$rb_missing_curl"],
		[AC_MSG_ERROR([the static libcurl is missing from $rb_deps; run: $srcdir/contrib/build-deps])])
])
