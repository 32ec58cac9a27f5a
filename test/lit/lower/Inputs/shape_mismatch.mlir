#a = #tilegpu.blocked<size = [1], threads = [32], warps = [1], order = [0]>
#b = #tilegpu.blocked<size = [1, 2], threads = [32, 1], warps = [1, 1], order = [1, 0]>
tile.kernel @mismatch() {
  %i = tile.arange 0 : tensor<64xi32, #a>
  %j = tile.reshape %i : tensor<64xi32, #a> -> tensor<32x2xi32, #b>
  tile.return
}
