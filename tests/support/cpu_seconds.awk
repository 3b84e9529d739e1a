# What the children of a shell took of processors, from what its `times` says: "0m1.50s 0m0.25s" in the second line.
NR == 2 {
  for (i = 1; i <= 2; ++i) {
    split($i, part, "m")
    sum += part[1] * 60 + part[2]
  }
  printf "%.0f", sum
}
