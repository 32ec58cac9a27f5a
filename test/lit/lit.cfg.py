import os
import sys
import lit.formats

config.name = "moec"
config.test_format = lit.formats.ShTest(True)
config.suffixes = [".mlir", ".test"]
config.test_source_root = os.path.join(config.moec_src_root, "test", "lit")
config.test_exec_root = config.moec_obj_root
config.excludes = ["Inputs"]
config.environment["PATH"] = os.pathsep.join([config.moec_bin, config.llvm_bin, os.environ["PATH"]])
config.substitutions.append(("%src", config.moec_src_root))
config.substitutions.append(("%python", sys.executable))
