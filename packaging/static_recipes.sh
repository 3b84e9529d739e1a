# How each library of the static binary is built: sourced by packaging/static_dependencies.sh, which rebuilds when a
# letter of this changes. A recipe gets the folder of the unpacked source and the folder whose include/ and lib/ it
# fills; CC, AR and RANLIB are set. Nothing of either path may end in what it makes.

# No exception passes C code: it needs no tables to unwind it, and for ARM it takes both options to leave them out. C++
# has them where an exception can come from, and not for every instruction.
# -fPIE: as code for a shared library, which is its default, OpenSSL reaches each of its variables by way of a table.
small_cpp='-Os -ffunction-sections -fdata-sections -fPIE -fno-asynchronous-unwind-tables'
small_code="$small_cpp -fno-unwind-tables"

# An edit of a source file. One that changes nothing is an error: the next version has that line in another form.
edit() { # file, script of sed -E
  sed -E "$2" "$1" >"$1.edited" || return 1
  if cmp -s "$1" "$1.edited"; then
    echo "static_recipes.sh: the edit '$2' matches nothing in ${1##*/}: look what that line is in this version"
    return 1
  fi
  cat "$1.edited" >"$1" && rm "$1.edited"
}

# Built inside its own folder, so that no path of this machine gets in. no-sock and no-dso are what removes
# getaddrinfo and dlopen; libcurl brings its own socket layer. The rest is about memory that is never given back:
# no-autoalginit and no-autoerrinit leave it to the agent what OpenSSL's tables of algorithms and error texts hold
# (init_tls and with_reason of agent/http/tls/certificate.h). Of each cipher that it offers it keeps a kilobyte:
# here not of the modes that TLS does not have. Nor does a client write keys (encoders). Its tables for each algorithm,
# of an entry or two, begin with 4 slots instead of 16.
#
# Of what 3.5 brought: ML-KEM stays, because a TLS 1.3 client of today offers X25519MLKEM768 first, so that what is
# recorded now cannot be read by a quantum computer later (34 kB: `size -t libcrypto.a`, the objects ml_kem and mlx).
# QUIC is HTTP/3's. ML-DSA and SLH-DSA would verify certificates that no public authority issues. The rest serves no
# TLS client: argon2, SIV, tables for SM2, threads of its own, an HTTP client, curves that RFC 8422 forbids, and ciphers
# that do not encipher (RFC 9150).
build_openssl() { # build folder, destination
  cd "$1" &&
    edit crypto/lhash/lhash.c 's/^#define MIN_NODES 16$/#define MIN_NODES 4/' &&
    for mode in CBC_CTS CFB OFB SIV WRAP XTS; do
      edit providers/defltprov.c "/PROV_NAMES_AES_[0-9]+_$mode/d" || return 1
    done &&
    edit providers/defltprov.c '/^#include "encoders.inc"/d' &&
    edit providers/baseprov.c '/^#include "encoders.inc"/d' &&
    use_small_p256 &&
    { ! is_newer_openssl || fit_what_is_new; } &&
    # shellcheck disable=SC2046  # words on purpose
    ./Configure "linux-$arch" --prefix=/nonexistent --openssldir=/nonexistent no-shared no-dso no-engine no-module \
      no-pic $(printf 'no-%s ' afalgeng aria async autoalginit autoerrinit autoload-config bf blake2 camellia capieng \
        cast cmp cms comp ct des dsa dtls ec2m filenames gost idea legacy md4 mdc2 multiblock nextprotoneg ocb ocsp \
        psk rc2 rc4 rc5 rmd160 scrypt seed siphash sm2 sm3 sm4 sock srp srtp ssl-trace ssl3 tests tls1 tls1_1 ts \
        ui-console whirlpool) \
      $(without_if_known apps argon2 docs http integrity-only-ciphers ml-dsa quic siv slh-dsa sm2-precomp thread-pool \
        tls-deprecated-ec) \
      -DOPENSSL_SA_BLOCK_BITS=2 $small_code &&
    make build_generated && make -j "$(nproc)" libcrypto.a libssl.a &&
    mkdir -p "$2/include" "$2/lib" &&
    cp -r include/openssl "$2/include/" &&
    cp libssl.a libcrypto.a "$2/lib/"
}

# A table of multiples of the base point of P-256 takes 148 kB. It makes a new key three times as fast, and a handshake
# has one at most. Without it, the base point is a point like any other, and the time does not depend on the key either.
use_small_p256() {
  edit crypto/ec/ecp_nistz256.c 's/if \(preComputedTable == NULL && ecp_nistz256_is_affine_G\(generator\)\)/if (0)/' &&
    edit crypto/ec/asm/ecp_nistz256-x86_64.pl \
      's/^while \(@line=splice\(@arr,0,16\)\) \{/while (0) {/; /^\.align\t4096$/d' &&
    edit crypto/ec/asm/ecp_nistz256-armv8.pl 's/^for\(1\.\.37\) \{/for (()) {/; /^\.align\t12$/d'
}

# AES-GCM has one more implementation for the widest registers of x86-64: 698 kB, a tenth of the binary, for speeds that
# metrics never need. For 64-bit ARM it is 26 kB. For the same reason these go: RSA's private keys, SHA, ChaCha20 and
# Poly1305 with AVX (93 kB); AES together with its HMAC (28 kB); AES in bit slices, for CPUs without instructions for it
# (12 kB): they permute vectors instead, and the time does not depend on the key either.
#
# And each algorithm that is on offer costs a kilobyte and more of memory as soon as one of its kind is used: signatures
# with the digest in their name (TLS names both), digests, key derivations, ciphers and generators of random numbers
# that no TLS 1.2 or 1.3 client needs, all ML-KEM but that of X25519MLKEM768, and forms of keys that stand in no
# certificate.
#
# Without autoerrinit, ERR_load_SSL_strings() of 3.5 loads nothing; with_reason of certificate.cpp needs it to.
fit_what_is_new() {
  load='extern int ossl_err_load_SSL_strings(void);'
  edit ssl/ssl_err_legacy.c "s/return OPENSSL_init_crypto\(.*\);/$load return ossl_err_load_SSL_strings();/" || return 1
  defaults=providers/defltprov.c
  edit providers/implementations/ciphers/cipher_aes_gcm_hw_vaes_avx512.inc '/^# define VAES_GCM_ENABLED$/d' &&
    edit providers/implementations/ciphers/cipher_aes_gcm_hw_armv8.inc 's/IS_CPU_SUPPORT_UNROLL8_EOR3\(\)/0/' &&
    edit crypto/bn/rsaz_exp.h '/^#define RSAZ_ENABLED$/d' &&
    for code in sha/asm/sha1 sha/asm/sha512 chacha/asm/chacha poly1305/asm/poly1305; do
      edit crypto/$code-x86_64.pl 's/^(\t\$avx = )\(\$[a-z1]+ ?>= ?2\.19\).*/\10;/' || return 1
    done &&
    edit crypto/aes/build.info '/^ *\$AESDEF_(x86_64|aarch64)=/s/ ?BSAES_ASM//' &&
    edit $defaults '/PROV_NAMES_AES_[0-9]+_CBC_HMAC_SHA[0-9]+,/{N;d}' &&
    edit $defaults '/PROV_NAMES_(RSA|ECDSA)_SHA[0-9]/d' &&
    edit $defaults '/PROV_NAMES_ED[0-9]+(ph|ctx)/d' &&
    edit $defaults '/PROV_NAMES_(SHA2_256_192|SHA2_512_2[0-9]+|SHA3_224|SHA3_384|KECCAK_[0-9]+),/d' &&
    edit $defaults '/PROV_NAMES_KECCAK_KMAC_/{N;d}' &&
    edit $defaults '/PROV_NAMES_(GMAC|KMAC_[0-9]+),/d' &&
    edit $defaults '/PROV_NAMES_(SSKDF|PKCS12KDF|SSHKDF|X963KDF|KBKDF|X942KDF_ASN1|KRB5KDF),/d' &&
    edit $defaults '/PROV_NAMES_HMAC_DRBG_KDF,/{N;d}' &&
    edit $defaults '/PROV_NAMES_AES_(192_[A-Z]+|[0-9]+_CCM),/d' &&
    edit $defaults '/PROV_NAMES_(HASH_DRBG|HMAC_DRBG|TEST_RAND),/d' &&
    edit $defaults '/PROV_NAMES_ML_KEM_(512|1024), .*_kem_functions/d' &&
    edit $defaults '/"(X448MLKEM1024|SecP256r1MLKEM768|SecP384r1MLKEM1024)"/d' &&
    edit $defaults '/PROV_NAMES_(ML_KEM_512|ML_KEM_1024|X448MLKEM1024|SecP[0-9]+r1MLKEM[0-9]+), .*mgmt_f/{N;d}' &&
    edit providers/decoders.inc '/"(DHX?|ML-KEM-[0-9]+|X25519|X448)", der/d' &&
    edit providers/decoders.inc '/"RSA", (msblob|pvk)/d'
}

# For a distribution whose OpenSSL, which it maintains itself, is older than 3.5 (--or-newest): that one does not know
# these words, nor has it what they leave out. From 3.5 on, Configure says which word is wrong.
without_if_known() { # words of Configure
  for word in "$@"; do
    if is_newer_openssl || grep -q "^    \"$word\"" Configure; then echo "no-$word"; fi
  done
}

is_newer_openssl() { grep -qE '^MINOR=([5-9]|[1-9][0-9])$' VERSION.dat; } # 3.5 or later, as unpacked in this folder

# The second map is for a compiler cache that makes paths relative.
install_with_cmake() { # source folder, destination, options...
  source=$1
  folder=$2
  shift 2
  same_paths="-DNDEBUG -ffile-prefix-map=$source/= -ffile-prefix-map=../="
  set -- "$@" -DCMAKE_C_FLAGS="$small_code $same_paths" -DCMAKE_CXX_FLAGS="$small_cpp $same_paths"
  if is_crossed "$arch"; then
    set -- "$@" -DCMAKE_TOOLCHAIN_FILE="$PWD/packaging/$arch.cmake" -DMSP_AGENT_STATIC_DEPENDENCIES="$folder"
  fi
  cmake -S "$source" -B "$source/b" -G Ninja -DCMAKE_BUILD_TYPE=None -DCMAKE_INSTALL_PREFIX="$folder" \
    -DCMAKE_INSTALL_LIBDIR=lib "$@" &&
    cmake --build "$source/b" &&
    cmake --install "$source/b" &&
    rm -rf "$folder/bin" "$folder/share"
}

# Each handle of libcurl has a c-ares of its own, with tables for a program that asks for thousands of names at once:
# 73 kB, all of it written to. The agent asks for one. From 1.20 on the tables grow with the questions.
build_c_ares() { # source folder, destination
  if grep -qE '^#define ARES_VERSION_MINOR 1?[0-9]$' "$1/include/ares_version.h"; then
    edit "$1/src/lib/ares_private.h" 's/^(#define ARES_QID_TABLE_SIZE) .*/\1 16/' &&
      edit "$1/src/lib/ares_private.h" 's/^(#define ARES_TIMEOUT_TABLE_SIZE) .*/\1 16/' || return 1
  fi
  install_with_cmake "$1" "$2" -DCARES_STATIC=ON -DCARES_SHARED=OFF -DCARES_BUILD_TOOLS=OFF
}

# CA_BUNDLE and CA_PATH: where a host has its CA certificates is found out at run time. OpenSSL from 3.2 on asks whether
# the peer has closed the connection; a libcurl that does not keep it in mind (peer_closed) says no, and what is then
# told is a failed system call.
build_curl() { # source folder, destination
  tls=$1/lib/vtls/openssl.c
  if ! grep -q peer_closed "$tls"; then
    eof=BIO_FLAGS_IN_EOF
    edit "$tls" "s/^( *return) \(!cf->next \|\| !cf->next->connected\);\$/\1 BIO_test_flags(bio, $eof) != 0;/" &&
      edit "$tls" "s/^  nread = Curl_conn_cf_recv\(.*\);\$/&\n  if(!nread)\n    BIO_set_flags(bio, $eof);/" || return 1
  fi
  install_with_cmake "$1" "$2" -DBUILD_SHARED_LIBS=OFF -DBUILD_CURL_EXE=OFF -DBUILD_TESTING=OFF -DENABLE_MANUAL=OFF \
    -DHTTP_ONLY=ON -DENABLE_ARES=ON -DCURL_USE_OPENSSL=ON -DOPENSSL_ROOT_DIR="$2" -DOPENSSL_USE_STATIC_LIBS=ON \
    -DCURL_CA_BUNDLE=none -DCURL_CA_PATH=none -DCURL_DISABLE_OPENSSL_AUTO_LOAD_CONFIG=ON \
    -DUSE_LIBIDN2=OFF -DCURL_USE_LIBPSL=OFF -DCURL_USE_LIBSSH2=OFF -DUSE_NGHTTP2=OFF -DCURL_USE_GSSAPI=OFF \
    -DCURL_BROTLI=OFF -DCURL_ZSTD=OFF -DCURL_ZLIB=OFF -DCURL_DISABLE_ALTSVC=ON -DCURL_DISABLE_HSTS=ON \
    -DCURL_DISABLE_COOKIES=ON -DCURL_DISABLE_NTLM=ON -DCURL_DISABLE_NETRC=ON -DCURL_DISABLE_MIME=ON \
    -DCURL_DISABLE_DOH=ON -DCURL_DISABLE_CRYPTO_AUTH=ON -DCURL_DISABLE_GETOPTIONS=ON -DCURL_DISABLE_PROGRESS_METER=ON
}

# The distribution's is made for speed; here each of its loops is there once, and those that the agent has no use for
# are not there: of dictionaries in tables of their own, of strategies that neither encode.cpp nor compression.cpp
# asks for (NULL), and of rows of hashes, which without vector instructions of their own take more time and more bytes
# than chains for a message of 30 to 60 kB. What it writes, every zstd can read. It asks the CPU what it can for each
# context, and has no use for the answer; on a virtual machine that is an exit to the hypervisor. The two files that
# take most of a tick's time are made for speed after all: half of it (tests/bench/wire_bench).
build_libzstd() { # source folder, destination
  cd "$1/lib" &&
    edit common/zstd_internal.h \
      's/^    ZSTD_cpuid_t cpuid = ZSTD_cpuid\(\);$//; s/^    return ZSTD_cpuid_bmi1.*;$/    return 0;/' &&
    edit compress/zstd_compress.c \
      's/^    return ZSTD_rowMatchFinderSupported\(strategy\) && .*;$/    (void)strategy; return 0;/' &&
    edit compress/zstd_compress.c \
      '/^ZSTD_blockCompressor ZSTD_selectBlockCompressor/,/^    ZSTD_blockCompressor selectedCompressor;/ {
         s/ZSTD_compressBlock_\w+_(dictMatchState|dedicatedDictSearch)/NULL/
         s/ZSTD_compressBlock_(greedy|lazy2|btlazy2|btultra2?)(_extDict)?/NULL/
         s/ZSTD_compressBlock_(lazy|btopt)_extDict/NULL/
       }' &&
    printf '%s\n' common/*.c compress/*.c decompress/*.c | grep -vxF "$(printf 'compress/%s.c\n' $zstd_fast)" |
    xargs -P "$(nproc)" -n 4 "$CC" -c $small_code -DNDEBUG $zstd_options -DZSTD_NO_INLINE &&
    (cd compress && "$CC" -c $small_code -O2 -DNDEBUG $zstd_options $(printf '%s.c ' $zstd_fast) && mv ./*.o ..) &&
    "$AR" rcs "$2/lib/libzstd.a" ./*.o &&
    cp zstd.h zstd_errors.h "$2/include/"
}
zstd_fast='zstd_lazy zstd_compress_sequences'
zstd_options='-DXXH_NAMESPACE=ZSTD_ -DZSTD_DISABLE_ASM=1 -DDYNAMIC_BMI2=0 -DHUF_FORCE_DECOMPRESS_X1
  -DZSTD_FORCE_DECOMPRESS_SEQUENCES_SHORT'

# The distribution's is made for speed, with -O3: 371 kB, and 170 kB here. Its tables are not in the source package:
# they are made from the distribution's unicode-data.
build_re2() { # source folder, destination
  make -C "$1" REBUILD_TABLES=1 re2/perl_groups.cc re2/unicode_casefold.cc re2/unicode_groups.cc &&
    install_with_cmake "$1" "$2" -DBUILD_SHARED_LIBS=OFF -DRE2_BUILD_TESTING=OFF
}

# The distribution's is 151 kB; 72 kB here.
build_yaml_cpp() { # source folder, destination
  install_with_cmake "$1" "$2" -DYAML_BUILD_SHARED_LIBS=OFF -DYAML_CPP_BUILD_CONTRIB=OFF -DYAML_CPP_BUILD_TESTS=OFF \
    -DYAML_CPP_BUILD_TOOLS=OFF
}
