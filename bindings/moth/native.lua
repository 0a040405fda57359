---@meta
--- What C implements, annotated for help, completion and editors; nothing requires this file. Ops that are methods
--- (exp, sum, matmul …) and the tables of constructors describe themselves: their docs come from the engine.
-- luacheck: ignore 212 241

local moth = {}

-- ---- the module -----------------------------------------------------------------------------------------------------

--- Fixes the seed of all random draws from here on.
---@param seed integer 0 or more
---@usage
--- moth.seed(1671)
--- print(moth.rand(2))
function moth.seed(seed) end

--- Number of threads that computations use; with an argument sets it. Results do not depend on it.
---@param n? integer 1 to 64
---@return integer
function moth.threads(n) end

--- Name of the kernels in use ("portable", "avx2", "avx512"); with an argument chooses them.
---@param name? string
---@return string
function moth.cpu(name) end

--- Calls f and gives what it returns; nothing in it is recorded for gradients.
---@param f fun(...): ...
---@param ... any arguments of f
---@return any ...
---@usage
--- local w = moth.randn(3):requires_grad_()
--- moth.no_grad(function() w:sub_(w * 0.1) end)
function moth.no_grad(f, ...) end

-- ---- making tensors -------------------------------------------------------------------------------------------------

---@class moth.TensorOptions
---@field dtype? "float32"|"int32"|"uint8" the type of its elements (float32)
---@field requires_grad? boolean are gradients recorded for it (false)

--- A tensor of nested lists of numbers, of a number, or a copy of a tensor.
---@param data number|table|moth.Tensor
---@param options? moth.TensorOptions
---@return moth.Tensor
---@usage
--- local t = moth.tensor({ { 1, 2 }, { 3, 4 } }, { dtype = "int32" })
--- print(t, t.shape[1], t:sum():item())
function moth.tensor(data, options) end

--- Zeros. The shape is a list, or numbers one by one.
---@param shape integer[]|integer
---@param options? moth.TensorOptions
---@return moth.Tensor
---@usage
--- print(moth.zeros(2, 3), moth.zeros({ 2, 3 }, { dtype = "int32" }))
function moth.zeros(shape, options) end

--- Ones; as zeros.
---@param shape integer[]|integer
---@param options? moth.TensorOptions
---@return moth.Tensor
function moth.ones(shape, options) end

--- One value everywhere.
---@param shape integer[]
---@param value number
---@param options? moth.TensorOptions
---@return moth.Tensor
---@usage
--- print(moth.full({ 2, 2 }, 7))
function moth.full(shape, value, options) end

--- The identity matrix.
---@param n integer
---@param options? moth.TensorOptions
---@return moth.Tensor
function moth.eye(n, options) end

--- Numbers from first to last, both of them: arange(1, 5) has 5 elements.
---@param first number
---@param last? number with one argument: from 1 to it
---@param step? number 1
---@return moth.Tensor
---@usage
--- print(moth.arange(1, 5), moth.arange(0, 1, 0.25))
function moth.arange(first, last, step) end

--- n numbers at equal distances from first to last.
---@param first number
---@param last number
---@param n integer
---@return moth.Tensor
---@usage
--- print(moth.linspace(0.1, 1.0, 9))
function moth.linspace(first, last, n) end

--- Random numbers between 0 and 1, equally likely.
---@param shape integer[]|integer
---@param options? moth.TensorOptions
---@return moth.Tensor
function moth.rand(shape, options) end

--- Random numbers of the normal distribution with mean 0 and deviation 1.
---@param shape integer[]|integer
---@param options? moth.TensorOptions
---@return moth.Tensor
function moth.randn(shape, options) end

--- Random integers from low to high, both of which can come.
---@param low integer
---@param high integer
---@param shape integer[]
---@return moth.Tensor
---@usage
--- print(moth.randint(0, 9, { 5 }))
function moth.randint(low, high, shape) end

--- The numbers 1 to n in random order.
---@param n integer
---@return moth.Tensor
function moth.permutation(n) end

--- Tensors one behind the other along a dim.
---@param tensors moth.Tensor[]
---@param dim? integer 1
---@return moth.Tensor
---@usage
--- print(moth.cat({ moth.ones(2, 2), moth.zeros(1, 2) }, 1))
function moth.cat(tensors, dim) end

--- Tensors of one shape along a new dim.
---@param tensors moth.Tensor[]
---@param dim? integer 1
---@return moth.Tensor
function moth.stack(tensors, dim) end

--- a where the condition is not 0, else b.
---@param condition moth.Tensor
---@param a moth.Tensor|number
---@param b moth.Tensor|number
---@return moth.Tensor
---@usage
--- local x = moth.randn(5)
--- print(moth.where(x:gt(0), x, 0))
function moth.where(condition, a, b) end

-- ---- files ----------------------------------------------------------------------------------------------------------

--- Writes a tensor as a .npy file, which NumPy reads.
---@param path string
---@param tensor moth.Tensor
function moth.save_npy(path, tensor) end

--- Reads a .npy file.
---@param path string
---@return moth.Tensor
function moth.load_npy(path) end

--- Writes tensors by name as a safetensors file.
---@param path string
---@param tensors table<string, moth.Tensor>
---@usage
--- local path = os.tmpname()
--- moth.save_tensors(path, { weight = moth.randn(2, 3) })
--- print(moth.load_tensors(path).weight)
--- os.remove(path)
function moth.save_tensors(path, tensors) end

--- Reads all tensors of a safetensors file, and the texts of its metadata.
---@param path string
---@return table<string, moth.Tensor>
---@return table<string, string> metadata
function moth.load_tensors(path) end

-- ---- tensors --------------------------------------------------------------------------------------------------------

--- Numbers in any number of dims, counted from 1. t[i] is a part or a number, t[{ i, j }] an element,
--- t[{ { 1, 3 }, {} }] a view of ranges; the same forms can be assigned. + - * / ^ broadcast as in NumPy.
---@class moth.Tensor
---@field shape integer[] a copy: changing it changes nothing
---@field dtype "float32"|"int32"|"uint8"
---@field requires_grad boolean
---@field grad moth.Tensor|nil what backward has added up
---@field mask moth.Tensor|nil uint8 (batch, time): the steps that layers count when they are called on it; nil: all
---@operator add(moth.Tensor|number): moth.Tensor
---@operator sub(moth.Tensor|number): moth.Tensor
---@operator mul(moth.Tensor|number): moth.Tensor
---@operator div(moth.Tensor|number): moth.Tensor
---@operator pow(moth.Tensor|number): moth.Tensor
---@operator unm: moth.Tensor
---@operator len: integer
local Tensor = {}

--- The number in a tensor of one element.
---@return number
function Tensor:item() end

--- Its elements as nested lists.
---@return table|number
function Tensor:totable() end

--- The shape, or the size of one dim.
---@param dim? integer
---@return integer[]|integer
function Tensor:size(dim) end

--- Number of dims.
---@return integer
function Tensor:dim() end

--- Number of elements.
---@return integer
function Tensor:numel() end

--- A copy.
---@return moth.Tensor
function Tensor:clone() end

--- In another type. A value that the type cannot hold is an error; fractions are cut off.
---@param dtype "float32"|"int32"|"uint8"
---@return moth.Tensor
function Tensor:to(dtype) end

--- The matrix with rows and columns exchanged.
---@return moth.Tensor
function Tensor:T() end

--- The positions first to last (both of them) of one dim, as a view.
---@param dim integer
---@param first integer
---@param last? integer to the end
---@return moth.Tensor
---@usage
--- print(moth.arange(1, 6):reshape(2, 3):slice(2, 1, 2))
function Tensor:slice(dim, first, last) end

--- The entries of one dim at the given positions.
---@param dim integer
---@param positions integer[]|moth.Tensor
---@return moth.Tensor
---@usage
--- print(moth.eye(3):index(1, { 3, 1 }))
function Tensor:index(dim, positions) end

--- Views of n equal parts of one dim, or of parts of the given sizes.
---@param n integer|integer[]
---@param dim? integer 1
---@return moth.Tensor[]
function Tensor:split(n, dim) end

--- The same elements in another shape; one size may be -1.
---@param ... integer sizes, or a list of them
---@return moth.Tensor
---@usage
--- print(moth.arange(1, 6):reshape(2, -1))
function Tensor:reshape(...) end

--- Takes over the elements of another tensor, which broadcasts.
---@param from moth.Tensor|number
---@return moth.Tensor self
function Tensor:copy_(from) end

--- Sets every element.
---@param value number
---@return moth.Tensor self
function Tensor:fill_(value) end

--- Sets every element to 0.
---@return moth.Tensor self
function Tensor:zero_() end

--- From here on gradients are recorded for it.
---@param wanted? boolean true
---@return moth.Tensor self
---@usage
--- local w = moth.randn(3, 2):requires_grad_()
--- local loss = (w * w):sum()
--- loss:backward()
--- print(w.grad)
function Tensor:requires_grad_(wanted) end

--- Adds to .grad of every tensor that this one was computed from and that requires it.
---@param gradient? moth.Tensor of the result; a tensor of one element needs none
function Tensor:backward(gradient) end

--- Forgets .grad.
function Tensor:zero_grad() end

--- The same elements without their history.
---@return moth.Tensor
function Tensor:detach() end

-- ---- layers, models, optimizers -------------------------------------------------------------------------------------

--- A layer: layer(x) computes on a tensor, or describes a use in a model when x is symbolic.
---@class moth.Layer
---@field name string
---@field type string
---@field trainable boolean read when a model is compiled
---@field weights moth.Tensor[]
---@field config table its options, with all defaults
---@overload fun(x: moth.Symbol|moth.Symbol[]): moth.Symbol
---@overload fun(x: moth.Tensor|moth.Tensor[], options?: { training?: boolean }): moth.Tensor
local Layer = {}

--- For layers in Lua, while they are built: adds a variable.
---@param name string
---@param shape integer[]
---@param initializer? any
---@param options? { trainable?: boolean, regularizer?: any, constraint?: any }
---@return moth.Tensor
function Layer:add_weight(name, shape, initializer, options) end

--- For layers in Lua: changes a variable that is not trained, after the step of a training run.
---@param variable moth.Tensor
---@param value moth.Tensor
function Layer:assign(variable, value) end

--- What stands between layers of a functional model: the result of moth.Input and of calling a layer.
---@class moth.Symbol
---@field shape integer[] of one sample

--- A model: moth.Sequential or moth.Model. model(x) runs it on a tensor; on a symbol it uses its layers once more, so
--- that a model can stand inside another and shares its weights with it.
---@class moth.Model
---@field name string
---@field layers moth.Layer[]
---@field built boolean
---@field seed integer
---@field step integer training steps done
---@field history moth.History of the last fit
---@field optimizer moth.Optimizer
---@field trainable boolean of all its layers
---@field inputs moth.Symbol[]
---@field outputs moth.Symbol[]
---@field input_names (string|false)[]
---@field input_shapes integer[][]
---@field output_shapes integer[][]
---@field output_names string[]
---@overload fun(x: moth.Symbol|moth.Symbol[]): moth.Symbol
---@overload fun(x: moth.Tensor|moth.Tensor[], options?: { training?: boolean }): moth.Tensor
local Model = {}

--- Puts a layer on top of a Sequential, or the layers of another Sequential; an Input may come first.
---@param layer moth.Layer|moth.Model|moth.Symbol
---@return moth.Model self
function Model:add(layer) end

--- Makes the weights for samples of a shape, where no layer says it.
---@param shape integer[]
function Model:build(shape) end

--- New weights, as if the model had just been made.
---@param seed? integer
function Model:reset(seed) end

--- One row for each use of a layer: what summary prints.
---@return table[]
function Model:rows() end

--- The model's variables: { tensor = …, path = "dense/kernel", trainable = … }.
---@return table[]
function Model:variables() end

--- Changes weights by their gradients: made by moth.optimizers.
---@class moth.Optimizer
---@field learning_rate number
---@field iterations integer steps done
---@field config table its options, with all defaults
local Optimizer = {}

--- One step on tensors that have gradients.
---@param parameters moth.Tensor[]
---@usage
--- local w = moth.randn(3):requires_grad_()
--- local sgd = moth.optimizers.SGD { learning_rate = 0.1 }
--- local loss = (w * w):sum()
--- loss:backward()
--- sgd:step { w }
--- sgd:zero_grad { w }
function Optimizer:step(parameters) end

--- Forgets the gradients of tensors.
---@param parameters moth.Tensor[]
function Optimizer:zero_grad(parameters) end
