--- BackupAndRestore: a fit that was killed goes on as if nothing had happened.
-- After each epoch the directory gets the whole model (weights, optimizer, step count) and the state of every callback,
-- so that the same script, run again, continues with the next epoch and ends with the same bits and the same History.
-- The model file has the epoch in its name and state.json is replaced last: a kill in between leaves the older pair.

local callback = require "moth.callback"
local files = require "moth.files"
local json = require "moth.json"
local options = require "moth.options"

local FORMAT_VERSION = 1

-- It is the state after the epoch that is to be kept, so the other callbacks have their turn first.
local BackupAndRestore = { runs_last = true }

function BackupAndRestore:path(name)
    return self.backup_dir .. "/" .. name
end

-- A callback is found again by its class and its place among those of its class.
local function identities(peers)
    local names, counts = {}, {}
    for i, peer in ipairs(peers) do
        local class = getmetatable(peer)
        local name = class and rawget(class, "__name") or "table"
        counts[name] = (counts[name] or 0) + 1
        names[i] = ("%s %d"):format(name, counts[name])
    end
    return names
end

local function holds_state(self, peer)
    return peer ~= self and peer.state and peer.restore
end

local function is_state(state)
    return type(state) == "table" and state.format_version == FORMAT_VERSION and math.type(state.epoch) == "integer"
        and type(state.model) == "string" and type(state.callbacks) == "table"
end

function BackupAndRestore:read_state()
    local path = self:path("state.json")
    if not files.exists(path) then
        return nil
    end
    local read, state = pcall(json.decode, files.read(path))
    if not read or not is_state(state) then
        options.fail(("callbacks.BackupAndRestore: %s is no backup that this version of moth can read"):format(
            options.show(path)))
    end
    return state
end

-- Weights that a callback keeps go through the model, which alone writes and reads them; its own weights come back.
function BackupAndRestore:save_weights(weights, path)
    local own = self.model:get_weights()
    self.model:set_weights(weights)
    self.model:save_weights(path)
    self.model:set_weights(own)
end

function BackupAndRestore:load_weights(path)
    self.model:load_weights(path)
    return self.model:get_weights()
end

-- The files besides state.json that a state needs.
local function file_names(state)
    local names = { [state.model] = true }
    for _, saved in pairs(state.callbacks) do
        if saved.weights then
            names[saved.weights] = true
        end
    end
    return names
end

function BackupAndRestore:on_train_begin()
    self.kept = nil
    local state = self:read_state()
    if not state then
        return
    end
    self.params.initial_epoch = state.stopped and self.params.epochs or state.epoch
    local names = identities(self.peers)
    for i, peer in ipairs(self.peers) do
        local saved = state.callbacks[names[i]]
        if saved and holds_state(self, peer) then
            peer:restore(saved.state, saved.weights and self:load_weights(self:path(saved.weights)))
        end
    end
    -- Last, because the weights of callbacks were read by way of the model.
    self.model:resume(self:path(state.model))
    self.kept = file_names(state)
    if self.params.verbose ~= 0 then
        self:say(("BackupAndRestore: going on after epoch %d"):format(state.epoch))
    end
end

function BackupAndRestore:save_peers(epoch)
    local saved, names = {}, identities(self.peers)
    for i, peer in ipairs(self.peers) do
        if holds_state(self, peer) then
            local state, weights = peer:state()
            local entry = { state = state }
            if weights then
                entry.weights = ("callback-%d-epoch-%d.safetensors"):format(i, epoch)
                self:save_weights(weights, self:path(entry.weights))
            end
            saved[names[i]] = entry
        end
    end
    return saved
end

function BackupAndRestore:remove_files(names)
    local sorted = {}
    for name in pairs(names or {}) do
        sorted[#sorted + 1] = name
    end
    table.sort(sorted)
    for _, name in ipairs(sorted) do
        os.remove(self:path(name))
    end
end

function BackupAndRestore:on_epoch_end(epoch)
    files.make_directory(self.backup_dir)
    local state = {
        format_version = FORMAT_VERSION,
        epoch = epoch,
        stopped = self.model.stop_training == true,
        model = ("model-epoch-%d.safetensors"):format(epoch),
    }
    self.model:save(self:path(state.model))
    state.callbacks = self:save_peers(epoch)
    files.write(self:path("state.json"), json.encode(state) .. "\n")
    local old = self.kept
    self.kept = file_names(state)
    for name in pairs(self.kept) do
        if old then
            old[name] = nil
        end
    end
    self:remove_files(old)
end

function BackupAndRestore:on_train_end()
    -- After Ctrl-C or an error the same script is to go on, so the backup stays.
    local ended = not self.params.interrupted and not self.params.failed
    if self.delete_checkpoint and ended and self.kept then
        os.remove(self:path("state.json"))
        self:remove_files(self.kept)
        os.remove(self.backup_dir)
        self.kept = nil
    end
end

return {
    --- Keeps the state of training in `backup_dir` after each epoch; fit takes it up again after a crash.
    BackupAndRestore = callback.class({
        name = "BackupAndRestore",
        { "backup_dir", function(value)
            if type(value) == "string" and value ~= "" then
                return value
            end
            return nil, "the name of a directory"
        end, required = true },
        { "save_freq", { "epoch" }, default = "epoch" },
        { "delete_checkpoint", "boolean", default = true },
    }, BackupAndRestore),
}
